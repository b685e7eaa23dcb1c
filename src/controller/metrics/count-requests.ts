import { isKubeError, type KubeClient, type ResourceType, type WatchEvent } from '../../kube/client.ts';

export interface RequestSeen {
  readonly verb: string;
  readonly resource: string;
  /** `OK`, or the code of the KubeError. */
  readonly code: string;
}

/** A client that tells of each request and its outcome. */
export function countRequests(client: KubeClient, tell: (request: RequestSeen) => void): KubeClient {
  const count = async <T>(verb: string, resource: string, request: () => Promise<T>): Promise<T> => {
    try {
      const answer = await request();
      tell({ verb, resource, code: 'OK' });
      return answer;
    } catch (error) {
      tell({ verb, resource, code: codeOf(error) });
      throw error;
    }
  };
  /** A watch is told of at its end: only then is it known how it went. */
  async function* countWatch(resource: string, events: AsyncIterable<WatchEvent>): AsyncGenerator<WatchEvent> {
    let code = 'Aborted';
    try {
      yield* events;
      code = 'OK';
    } catch (error) {
      code = codeOf(error);
      throw error;
    } finally {
      tell({ verb: 'watch', resource, code });
    }
  }
  const nameOf = (type: ResourceType): string => type.plural;
  return {
    get: (type, ...rest) => count('get', nameOf(type), () => client.get(type, ...rest)),
    list: (type, ...rest) => count('list', nameOf(type), () => client.list(type, ...rest)),
    watch: (type, ...rest) => countWatch(nameOf(type), client.watch(type, ...rest)),
    create: (type, ...rest) => count('create', nameOf(type), () => client.create(type, ...rest)),
    put: (type, ...rest) => count('update', nameOf(type), () => client.put(type, ...rest)),
    putStatus: (type, ...rest) => count('update-status', nameOf(type), () => client.putStatus(type, ...rest)),
    delete: (type, ...rest) => count('delete', nameOf(type), () => client.delete(type, ...rest)),
    readLog: (...all) => count('log', 'pods', () => client.readLog(...all)),
  };
}

function codeOf(error: unknown): string {
  return isKubeError(error) ? error.code : 'Aborted';
}
