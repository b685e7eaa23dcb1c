import type { EventRecorder } from '../kube/events.ts';
import type { Log } from '../support/log.ts';

/** Each event is a line of the controller's log as well: `kubectl logs` tells the story of every run, also after events have expired. */
export function logEvents(events: EventRecorder, log: Log): EventRecorder {
  return {
    record: (event) => {
      const { object, type, reason, message } = event;
      const { namespace, name } = object.metadata;
      log[type === 'Warning' ? 'warn' : 'info']('event', {
        kind: object.kind,
        namespace,
        name,
        reason,
        detail: message,
      });
      events.record(event);
    },
    drain: async (signal) => events.drain(signal),
  };
}
