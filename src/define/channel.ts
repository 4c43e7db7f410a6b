/** `channelKey`: a typed name of an entry in the run's channel. */
import { checkId } from '../core/ids.ts';
import type { Json } from '../core/json-type.ts';
import type { ChannelKey } from './context.ts';

/**
 * Gives an entry of `ctx.channel` its type.
 *
 * @example const total = channelKey<number>('total'); ctx.channel.add(total, 1);
 */
export function channelKey<T = Json>(name: string): ChannelKey<T> {
  return Object.freeze({ name: checkId('channel key', name) });
}
