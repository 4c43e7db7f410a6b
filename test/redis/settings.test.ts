/** What a Redis configuration may say, and that nothing of it ever shows. */
import { inspect } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { groupSettings, redisSettings, RedisSettings } from '../../src/adapters/redis/settings.ts';
import { DefinitionError } from '../../src/core/errors.ts';
import { checkRedisConfig, type RedisConfig, type RedisTarget } from '../../src/core/redis-config.ts';
import { checkExecution } from '../../src/define/execution.ts';

const target = (config: unknown): RedisTarget => checkRedisConfig('redis', config);
const url = (text: string): Pick<RedisTarget, 'nodes' | 'access' | 'db'> => {
  const { nodes, access, db } = target({ url: text });
  return { nodes, access, db };
};

function refusal(config: unknown): DefinitionError {
  try {
    target(config);
  } catch (thrown) {
    if (thrown instanceof DefinitionError) return thrown;
    throw thrown;
  }
  throw new Error(`nothing was refused: ${inspect(config)}`);
}

describe('45. URLs', () => {
  const at = (host: string, port = 6379): readonly { host: string; port: number }[] => [{ host, port }];
  const cases: [string, ReturnType<typeof url>][] = [
    ['redis://h', { nodes: at('h'), access: {}, db: 0 }],
    ['redis://h:7000/', { nodes: at('h', 7000), access: {}, db: 0 }],
    ['REDIS://h:7000/3', { nodes: at('h', 7000), access: {}, db: 3 }],
    [' redis://redis-1.internal_net.example:1/15\n', { nodes: at('redis-1.internal_net.example', 1), access: {}, db: 15 }],
    ['rediss://h', { nodes: at('h'), access: { tls: {} }, db: 0 }],
    ['valkey://h', { nodes: at('h'), access: {}, db: 0 }],
    ['valkeys://h', { nodes: at('h'), access: { tls: {} }, db: 0 }],
    ['redis://[::1]:7000/1', { nodes: at('::1', 7000), access: {}, db: 1 }],
    ['redis://u:p@[fe80::1%eth0]', { nodes: at('fe80::1%eth0'), access: { username: 'u', password: 'p' }, db: 0 }],
    ['redis://:p@h', { nodes: at('h'), access: { password: 'p' }, db: 0 }],
    ['redis://u@h', { nodes: at('h'), access: { username: 'u' }, db: 0 }],
    ['redis://u:@h', { nodes: at('h'), access: { username: 'u' }, db: 0 }],
    ['redis://default:p@h/0', { nodes: at('h'), access: { username: 'default', password: 'p' }, db: 0 }],
    // Raw, as people paste them.
    ['redis://u:p@ss:w/rd?x#1@h:7000/2', { nodes: at('h', 7000), access: { username: 'u', password: 'p@ss:w/rd?x#1' }, db: 2 }],
    ['redis://u:100%@h', { nodes: at('h'), access: { username: 'u', password: '100%' }, db: 0 }],
    ['redis://:a b"c\'d\\e[f]{g}é😀@h', { nodes: at('h'), access: { password: 'a b"c\'d\\e[f]{g}é😀' }, db: 0 }],
    // Encoded, as they should.
    ['redis://us%3Aer:p%40ss%3Aw%2Frd%3Fx%231%25%C3%A9@h', { nodes: at('h'), access: { username: 'us:er', password: 'p@ss:w/rd?x#1%é' }, db: 0 }],
  ];
  it.each(cases)('%s', (text, expected) => {
    expect(url(text)).toEqual(expected);
  });

  it('every password, encoded, comes back', () => {
    const characters = Array.from({ length: 0x250 }, (_, code) => String.fromCharCode(code)).join('');
    expect(url(`redis://:${encodeURIComponent(characters)}@h`).access).toEqual({ password: characters });
  });

  it.each([
    ['', /redis:\/\/ or rediss:\/\//],
    ['h:6379', /redis:\/\/ or rediss:\/\//],
    ['http://u:hunter2@h', /redis:\/\/ or rediss:\/\//],
    ['constructor://u:hunter2@h', /redis:\/\/ or rediss:\/\//],
    ['redis://', /no host/],
    ['redis://:hunter2@', /no host/],
    ['redis://:hunter2@:6379', /no host/],
    ['redis://user:hunter2', /port is no number/],
    ['redis://u:hunter2@h:0', /port is no number/],
    ['redis://u:hunter2@h:65536', /port is no number/],
    ['redis://u:hunter2@h:', /port is no number/],
    ['redis://u:hunter2@h/hunter2', /no number of a database/],
    ['redis://u:hunter2@h/-1', /no number of a database/],
    ['redis://u:hunter2@h/0?password=hunter2', /behind the number/],
    ['redis://h/0?password=hunter2@h', /where its host begins/],
    ['redis://u:p@hunter2 h', /character that no host has/],
    ['redis://u:p@[hunter2]', /character that no host has/],
  ])('"%s" is refused, and nothing of it is shown', (text, reason) => {
    const error = refusal({ url: text });
    expect(error.code).toBe('definition/bad-option');
    expect(error.message).toMatch(/^Option redis\.url is no URL of a Redis/);
    expect(error.message).toMatch(reason);
    expect(error.hint).toContain('redis://user:password@host:6379/0');
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
  });
});

describe('the other ways to name a Redis', () => {
  const client = new Redis({ host: '10.0.0.9', port: 7009, password: 'hunter2', keyPrefix: 'app:', lazyConnect: true });
  const cluster = new Cluster([{ host: 'a', port: 1 }], { lazyConnect: true, redisOptions: { password: 'hunter2' } });
  afterAll(() => {
    client.disconnect();
    cluster.disconnect();
  });

  it('discrete settings', () => {
    const config: RedisConfig = { host: 'h', port: 7000, username: 'u', password: 'p@:/#', tls: { ca: 'PEM', servername: 's' }, db: 2, namespace: 'n', queue: 'q', prefix: 'app:' };
    expect(target(config)).toEqual({
      kind: 'single', nodes: [{ host: 'h', port: 7000 }], access: { username: 'u', password: 'p@:/#', tls: { ca: 'PEM', servername: 's' } }, db: 2, namespace: 'n', queue: 'q', prefix: 'app:',
    });
    expect(target({ host: '[::1]' })).toEqual({ kind: 'single', nodes: [{ host: '::1', port: 6379 }], access: {}, db: 0, namespace: 'taskchart', queue: 'default' });
    // As unset variables arrive.
    expect(target({ host: 'h', username: '', password: '', tls: false })).toEqual({ kind: 'single', nodes: [{ host: 'h', port: 6379 }], access: {}, db: 0, namespace: 'taskchart', queue: 'default' });
  });

  it('a URL, with the password apart from it', () => {
    expect(target({ url: 'rediss://u@h', password: 'p', tls: { ca: ['A', 'B'] }, db: 3 })).toMatchObject({ access: { username: 'u', password: 'p', tls: { ca: ['A', 'B'] } }, db: 3 });
    expect(refusal({ url: 'redis://:hunter2@h', password: 'hunter2' }).message).toMatch(/password is given twice/);
    expect(refusal({ url: 'redis://h/1', db: 1 }).message).toMatch(/db is given twice/);
    expect(refusal({ url: 'rediss://h', tls: false }).message).toMatch(/tls is false/);
  });

  it('sentinels, a cluster, a client', () => {
    expect(target({ sentinels: [{ host: 'a' }, { host: 'b', port: 1 }], name: 'main', password: 'p', sentinelPassword: 's', sentinelTls: true, db: 1 })).toMatchObject({
      kind: 'sentinel', nodes: [{ host: 'a', port: 26379 }, { host: 'b', port: 1 }], access: { password: 'p' }, db: 1, sentinel: { name: 'main', password: 's', tls: {} },
    });
    expect(target({ cluster: [{ host: 'a' }], tls: true })).toMatchObject({ kind: 'cluster', nodes: [{ host: 'a', port: 6379 }], access: { tls: {} } });
    expect(target({ client })).toMatchObject({ kind: 'client', client });
    expect(target({ client: cluster })).toMatchObject({ kind: 'client' });
    const settings = redisSettings({ client }, 'redis');
    expect([settings.place, settings.address, settings.prefix]).toEqual(['10.0.0.9:7009', { host: '10.0.0.9', port: 7009 }, 'app:']);
    expect(redisSettings({ client, prefix: 'own:' }, 'redis').prefix).toBe('own:');
    expect(redisSettings({ client: cluster }, 'redis').place).toBe('the server of the given client');
  });

  it.each<[unknown, RegExp]>([
    [undefined, /must be an object/],
    [{}, /either url or host/],
    [{ password: 'hunter2' }, /either url or host/],
    [{ url: 'redis://hunter2@h', host: 'h' }, /not two of them/],
    [{ url: 'redis://h', port: 6379 }, /port cannot be given together with url/],
    [{ host: 'h', name: 'hunter2' }, /name cannot be given together with host/],
    [{ cluster: [{ host: 'a' }], db: 1 }, /db cannot be given together with cluster/],
    [{ client: { duplicate: 1 }, password: 'hunter2' }, /password cannot be given together with client/],
    [{ client: {} }, /client must be a client of the package ioredis/],
    [{ client: null }, /client must be a client of the package ioredis/],
    [{ host: '' }, /host must be the name or the address/],
    [{ host: 'redis://:hunter2@h' }, /host must be the name or the address/],
    [{ host: 5 }, /host must be a string/],
    ['redis://:hunter2@h', /must be an object with some of url/],
    [{ host: 'h', port: 'hunter2' }, /port must be an integer from 1 to 65535/],
    [{ host: 'h', port: 0 }, /port must be an integer/],
    [{ host: 'h', db: -1 }, /db must be an integer/],
    [{ host: 'h', password: 5 }, /password must be a string, but is of type number/],
    [{ host: 'h', tls: 'hunter2' }, /tls must be an object with some of ca/],
    [{ host: 'h', tls: { ca: 5 } }, /tls\.ca must be a string/],
    [{ host: 'h', tls: { rejectUnauthorized: 'hunter2' } }, /rejectUnauthorized must be a boolean/],
    [{ host: 'h', tls: { cn: 'x' } }, /no option .*tls\.cn/],
    [{ host: 'h', paswword: 'hunter2' }, /no option .*paswword/],
    [{ host: 'h', namespace: 'hunter2:x' }, /namespace does not follow the grammar/],
    [{ host: 'h', namespace: '' }, /namespace does not follow the grammar/],
    [{ host: 'h', queue: 'constructor' }, /queue does not follow the grammar/],
    [{ host: 'h', prefix: 'hunter2{x}' }, /prefix must have at most/],
    [{ sentinels: [{ host: 'a' }] }, /name must be the name by which the sentinels/],
    [{ sentinels: [], name: 'x' }, /sentinels must be a list/],
    [{ cluster: 'hunter2' }, /cluster must be a list/],
    [{ cluster: ['hunter2'] }, /cluster\[0\] must be an object/],
    [{ cluster: [{ host: 'a', port: 'hunter2' }] }, /cluster\[0\]\.port must be an integer/],
  ])('%o is refused', (config, reason) => {
    const error = refusal(config);
    expect(error.code).toBe('definition/bad-option');
    expect(error.message).toMatch(reason);
    expect(inspect(error, { depth: 10 }).replace(/^ +at .*$/gm, '')).not.toContain('hunter2');
  });
});

describe('settings', () => {
  const configs: RedisConfig[] = [
    { url: 'rediss://alice:hunter2@10.0.0.1:7000/3', tls: { passphrase: 'hunter2', key: 'hunter2' } },
    { sentinels: [{ host: 's1' }, { host: 's2' }, { host: 's3' }, { host: 's4' }], name: 'main', username: 'alice', password: 'hunter2', sentinelPassword: 'hunter2' },
    { cluster: [{ host: 'c1' }], username: 'alice', password: 'hunter2' },
  ];

  it.each(configs)('45. show nothing that is secret, however they are printed (%#)', (config) => {
    const settings = redisSettings(config, 'redis');
    const pictures = [inspect(settings, { depth: 20, showHidden: true, getters: true }), JSON.stringify(settings), String(settings), Object.entries(settings).join(), settings.key, settings.place];
    expect(pictures.join('\n')).not.toMatch(/hunter2|alice/);
    expect(RedisSettings.targetOf(settings).access.password).toBe('hunter2');
    expect(settings.redact('WRONGPASS for alice with hunter2!')).toBe('WRONGPASS for *** with ***!');
  });

  it('say where the server is', () => {
    expect(configs.map((config) => redisSettings(config, 'redis').place)).toEqual(['10.0.0.1:7000', '"main" of the sentinels s1:26379, s2:26379, s3:26379, …', 'the cluster c1:6379']);
    expect(redisSettings({ host: '::1' }, 'redis').place).toBe('[::1]:6379');
    expect(redisSettings(configs[0], 'redis').address).toEqual({ host: '10.0.0.1', port: 7000 });
  });

  it('have the same key exactly where the lists are the same', () => {
    const key = (config: RedisConfig): string => redisSettings(config, 'redis').key;
    expect(key({ url: 'redis://u:p%40@h:6379/0' })).toBe(key({ host: 'h', password: 'p@', username: 'u' }));
    expect(key({ host: 'h', queue: 'a' })).toBe(key({ host: 'h', queue: 'b', namespace: 'taskchart', prefix: '' }));
    expect(key({ host: 'h', tls: { ca: 'a', servername: 'b' } })).toBe(key({ host: 'h', tls: { servername: 'b', ca: 'a' } }));
    const others: RedisConfig[] = [
      { host: 'h' }, { host: 'i' }, { host: 'h', port: 1 }, { host: 'h', db: 1 }, { host: 'h', username: 'u' }, { host: 'h', password: 'u' }, { host: 'h', tls: true }, { host: 'h', tls: { ca: 'a' } },
      { host: 'h', namespace: 'n' }, { host: 'h', prefix: 'n' }, { cluster: [{ host: 'h' }] }, { sentinels: [{ host: 'h', port: 6379 }], name: 'a' }, { sentinels: [{ host: 'h', port: 6379 }], name: 'b' },
    ];
    expect(new Set(others.map(key)).size).toBe(others.length);
    const [one, two] = [new Redis({ lazyConnect: true }), new Redis({ lazyConnect: true })];
    expect(key({ client: one })).toBe(key({ client: one }));
    expect(key({ client: one })).not.toBe(key({ client: two }));
  });

  it('of a group hold how long it waits for a worker, and are not printed', () => {
    const { plan, settings } = checkExecution('group', { backend: 'redis', startTimeout: 1500, backendConfig: { url: 'redis://alice:hunter2@h', queue: 'heavy' } });
    expect(plan).toEqual({ backend: 'redis', concurrency: expect.any(Number) as number });
    expect(settings).toEqual({ url: 'redis://alice:hunter2@h', queue: 'heavy', startTimeoutMs: 1500 });
    expect(groupSettings(settings).queue).toBe('heavy');
    expect(`${inspect({ settings }, { depth: 9 })}${JSON.stringify({ settings })}`).not.toMatch(/hunter2|alice/);
    for (const startTimeout of [0, -1, Number.NaN, '5', Infinity]) expect(() => checkExecution('group', { backend: 'redis', startTimeout, backendConfig: { host: 'h' } })).toThrow(/group\.startTimeout must be/);
    expect(() => checkExecution('group', { backend: 'local', startTimeout: 5 })).toThrow(/startTimeout must be left out/);
  });
});
