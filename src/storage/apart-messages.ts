import type { FailureReason } from '../api/reasons.ts';
import type { PutOptions, Range, Unfinished } from './storage.ts';

/** An operation of a storage that is done in another process. */
export type Call =
  | { readonly do: 'put'; readonly key: string; readonly options: Omit<PutOptions, 'onSync'> }
  | { readonly do: 'get'; readonly key: string; readonly range: Range | undefined }
  | { readonly do: 'stat'; readonly key: string }
  | {
      readonly do: 'list';
      readonly prefix: string;
      readonly after: string | undefined;
      /** It is told of folders that are left out. */
      readonly goesOn: boolean;
    }
  | { readonly do: 'delete'; readonly key: string }
  | { readonly do: 'listUnfinished'; readonly prefix: string }
  | { readonly do: 'removeUnfinished'; readonly item: Unfinished };

/** To the process that does it. Each operation has an id. */
export type Order =
  | { readonly id: number; readonly is: 'call'; readonly call: Call }
  /** What the body of a put gave when it was pulled; without a chunk it has ended. */
  | { readonly id: number; readonly is: 'chunk'; readonly chunk?: Uint8Array }
  | { readonly id: number; readonly is: 'broken' }
  /** The items were taken. */
  | { readonly id: number; readonly is: 'more' }
  /** It was aborted, or what it gives is not wanted any more. */
  | { readonly id: number; readonly is: 'stop' };

/** From it. The last two end the operation. */
export type Answer =
  | { readonly id: number; readonly is: 'pull' }
  | { readonly id: number; readonly is: 'sync'; readonly begins: boolean }
  | { readonly id: number; readonly is: 'items'; readonly items: readonly unknown[] }
  | { readonly id: number; readonly is: 'leftOut'; readonly folder: string; readonly failure: CarriedFailure }
  | { readonly id: number; readonly is: 'done'; readonly value: unknown; readonly conditionalPut: boolean }
  | { readonly id: number; readonly is: 'failed'; readonly failure: CarriedFailure; readonly conditionalPut: boolean };

export interface CarriedFailure {
  readonly reason: FailureReason;
  readonly message: string;
  readonly hint?: string;
}
