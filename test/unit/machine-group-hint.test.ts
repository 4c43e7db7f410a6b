import { describe, expect, it } from 'vitest';
import { DefinitionError, each, task, workflow } from 'taskchart';

const failing = (error: () => Error) => workflow('hints', each(task('item', (): number => {
  throw error();
}))).run([1, 2]);

describe('the hint of a group whose members all failed', () => {
  it('is theirs where they failed for one reason of ours', async () => {
    const missing = (): Error => new DefinitionError('definition/backend-unavailable', 'a package is missing', { hint: 'npm install it' });
    await expect(failing(missing)).rejects.toMatchObject({ code: 'group/policy', hint: 'npm install it' });
  });

  it("is the group's own where tasks failed by themselves", async () => {
    await expect(failing(() => new Error('no'))).rejects.toMatchObject({ code: 'group/policy', hint: expect.stringContaining('.withPolicy') as string });
  });

  it("is the group's own where nobody failed", async () => {
    const never = workflow('never', each(task('item', (n: number) => n)).withPolicy(() => false));
    await expect(never.run([1])).rejects.toMatchObject({ code: 'group/policy', hint: expect.stringContaining('.withPolicy') as string });
  });
});
