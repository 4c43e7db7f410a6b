/** Headers that are read by hand, against what they are by definition. */
import { describe, expect, it } from 'vitest';
import { parseUnitId, readResultHeader, unitHeader } from '../../src/core/headers.ts';
import { seededRandom } from '../../src/testing/seeded-random.ts';

const UNIT = /^([1-9]\d{0,8})\|([^|]+)\|(\d+\.\d+\.\d+)\|/;
const RESULT = /^([RPD])\|(\d+\.\d+\.\d+)\|(\d+)\|/;
const ID = /^(\d+)\.(\d+)\.(\d+)$/;

const pieces = ['1', '0', '12', '007', '123456789', '1234567890', '12345678901234567890', '|', '|', '|', '.', '.', '1.0.0', '4.12.3', 'R', 'P', 'D', 'X', 'run', 'r~1', '{"v":1}', '\n', 'é', '-1', ' ', ''];

describe('plain headers', () => {
  const seed = 20261123;
  it(`are what they are by definition, whatever the text (seed ${seed})`, () => {
    const source = seededRandom(seed);
    const random = (): number => source.next();
    const shapes = [['1', '|', 'run', '|', '1.0.0', '|', '{"v":1}'], ['R', '|', '4.12.3', '|', '12', '|', '{"v":1}'], ['1', '.', '12', '.', '0']];
    let found = 0;
    for (let round = 0; round < 60_000; round += 1) {
      const parts = [...(shapes[Math.floor(random() * shapes.length)] as string[])];
      for (let changes = Math.floor(random() * 3); changes > 0; changes -= 1) parts.splice(Math.floor(random() * (parts.length + 1)), Math.floor(random() * 2), pieces[Math.floor(random() * pieces.length)] as string);
      const text = parts.join('');
      const unit = UNIT.exec(text);
      expect(unitHeader(text), JSON.stringify(text)).toEqual(unit === null ? undefined : { attempt: Number(unit[1]), run: unit[2], id: unit[3], text: unit[0].slice(0, -1) });
      const result = RESULT.exec(text);
      const attempt = result !== null && /^[1-9]\d{0,8}$/.test(result[3] as string) ? Number(result[3]) : 0;
      expect(readResultHeader(text), JSON.stringify(text)).toEqual(result === null ? undefined : { kind: result[1], id: result[2], attempt, text: result[0].slice(0, -1) });
      const id = ID.exec(text);
      expect(parseUnitId(text), JSON.stringify(text)).toEqual(id === null ? undefined : { group: Number(id[1]), index: Number(id[2]), generation: Number(id[3]) });
      found += Number(unit !== null) + Number(result !== null) + Number(id !== null);
    }
    expect(found).toBeGreaterThan(10_000);
  });
});
