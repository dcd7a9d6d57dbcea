/** What docs/protocol.md promises about numbers and recovery, for the fake relay and the real one alike; a part of contract.ts. */
import { randomBytes } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { phoneHash, secretsOf } from '../../src/core/discovery/numbers.ts';
import { blind, finalize } from '../../src/core/discovery/voprf.ts';
import { parseInvite } from '../../src/core/links.ts';
import { systemRandom } from '../../src/node/machine.ts';
import type { RelayUnderTest } from './contract.ts';
import { b64, call, newMember, newRegistration, sha256 } from './raw.ts';
import type { Answer } from './raw.ts';

const unpadded = (text: unknown): Uint8Array => new Uint8Array(Buffer.from(text as string, 'base64url'));
const newNumber = (): string => `+4915${String(randomBytes(6).readUIntBE(0, 6)).padStart(9, '0').slice(0, 9)}`;

export function numbersContract(name: string, relay: () => RelayUnderTest): void {
  const url = (path: string): string => relay().url + path;

  async function evaluated(invite: string, numbers: readonly string[], authorization?: string) {
    const { code, discovery } = parseInvite(invite);
    if (!discovery) throw new Error('an invite without keys for numbers');
    const blinded = numbers.map((number) => blind(phoneHash(discovery.appSalt, number), systemRandom));
    const elements = blinded.map(({ element }) => b64(element));
    const answer = await call(url('/v1/discovery/evaluate'), 'POST', { Authorization: authorization ?? `Invite ${code}` }, { elements });
    expect(answer.status).toBe(200);
    const outputs = finalize(blinded, (answer.body['evaluated'] as string[]).map(unpadded), unpadded(answer.body['proof']), discovery.voprfPublicKey);
    return outputs.map(secretsOf);
  }

  const lookUp = (tokens: readonly string[], headers: Record<string, string> = {}): Promise<Answer> => call(url('/v1/discovery/lookup'), 'POST', headers, { tokens });
  const random = (count: number): string[] => Array.from({ length: count }, () => b64(randomBytes(32)));

  /** Registers with a number; answers what is needed to be found, and the raw registration. */
  async function numbered(number = newNumber()) {
    const invite = await relay().invite();
    const [secrets] = await evaluated(invite, [number]);
    if (!secrets) throw new Error('no secrets');
    const made = await newRegistration(1);
    const recoveryCode = randomBytes(32);
    const registration = {
      ...made.registration,
      recovery_hash: b64(sha256(recoveryCode)),
      phone_token: b64(secrets.phoneToken),
      access: { ...made.registration.access, number: b64(sha256(secrets.accessKey)) },
    };
    const register = (): Promise<Answer> => call(url('/v1/accounts'), 'POST', { Authorization: `Invite ${parseInvite(invite).code}` }, registration);
    return { secrets, register, recoveryCode, secret: made.secret, contactKey: made.access };
  }

  describe(`${name}: numbers`, () => {
    test('a member is found by the token of their number, among 99 that are nobody’s', async () => {
      const { secrets, register } = await numbered();
      const account = (await register()).body['account_id'];
      const tokens = [...random(41), b64(secrets.phoneToken), ...random(58)];
      const found = await lookUp(tokens);
      expect(found.status).toBe(200);
      expect((found.body['accounts'] as unknown[]).map((one, at) => [at, one]).filter(([, one]) => one !== null)).toEqual([[41, account]]);
      const take = await call(url(`/v1/prekeys/${String(account)}/take`), 'POST', { 'Access-Key': b64(secrets.accessKey) });
      expect(take.status).toBe(200); // who knows the number may write
    });

    test('one number gives one token, whoever asks and however it is blinded', async () => {
      const [one, other] = [await relay().invite(), await relay().invite()];
      const number = newNumber();
      const member = await newMember(relay().url, one);
      const [first, second] = [await evaluated(other, [number]), await evaluated(one, [newNumber(), number], member.authorization)];
      expect(first[0]).toEqual(second[1]);
      expect(second[0]).not.toEqual(second[1]);
    });

    test('a look-up is of exactly 100, without a login', async () => {
      const { authorization } = await newMember(relay().url, await relay().invite());
      expect((await lookUp(random(99))).status).toBe(400);
      expect((await lookUp(random(101))).status).toBe(400);
      expect((await lookUp(random(100), { Authorization: authorization })).status).toBe(400);
      expect((await lookUp(random(100))).status).toBe(200);
    });

    test('an evaluation takes elements, and a login or an invite', async () => {
      const { authorization } = await newMember(relay().url, await relay().invite());
      const evaluate = (elements: readonly string[], headers: Record<string, string> = { Authorization: authorization }): Promise<Answer> =>
        call(url('/v1/discovery/evaluate'), 'POST', headers, { elements });
      expect((await evaluate([])).status).toBe(400);
      expect((await evaluate([b64(new Uint8Array(32))])).status).toBe(400); // the identity
      expect((await evaluate([b64(new Uint8Array(32).fill(255))])).status).toBe(400);
      const element = b64(blind(randomBytes(32), systemRandom).element);
      expect((await evaluate([element, element])).status).toBe(400);
      expect((await evaluate([element], {})).status).toBe(401);
      expect((await evaluate([element], { Authorization: `Invite ${'x'.repeat(24)}` })).status).toBe(401);
      expect((await evaluate([element])).status).toBe(200);
    });

    test('a number is had by one account', async () => {
      const number = newNumber();
      const [first, second] = [await numbered(number), await numbered(number)];
      expect((await first.register()).status).toBe(201);
      const taken = await second.register();
      expect([taken.status, taken.body['code']]).toEqual([409, 'number_taken']);
    });

    test('who closes the account to strangers is not found, and the key of the number opens nothing', async () => {
      const { secrets, register, secret, contactKey } = await numbered();
      const account = String((await register()).body['account_id']);
      const authorization = `Bearer ${account}.${b64(secret)}`;
      const fresh = randomBytes(16);
      const change = (json: object): Promise<Answer> => call(url('/v1/account/access'), 'PUT', { Authorization: authorization }, json);
      const opens = async (key: Uint8Array): Promise<boolean> => (await call(url(`/v1/prekeys/${account}/take`), 'POST', { 'Access-Key': b64(key) })).status === 200;
      const found = async (): Promise<unknown> => ((await lookUp([b64(secrets.phoneToken), ...random(99)])).body['accounts'] as unknown[])[0];
      expect((await change({ number: null })).status).toBe(204);
      expect([await opens(secrets.accessKey), await opens(contactKey), await found()]).toEqual([false, true, null]);
      expect((await change({ contact: b64(sha256(fresh)), number: b64(sha256(secrets.accessKey)) })).status).toBe(204);
      expect([await opens(secrets.accessKey), await opens(contactKey), await opens(fresh), await found()]).toEqual([true, false, true, account]);
    });

    test('the recovery code gives the account to new keys, by id or token, once; the same request again gives the same answer', async () => {
      const { secrets, register, recoveryCode, secret } = await numbered();
      const account = String((await register()).body['account_id']);
      const { registration, secret: newSecret } = await newRegistration(1);
      const recover = (more: object): Promise<Answer> => call(url('/v1/accounts/recover'), 'POST', {}, { ...registration, ...more });
      const wrong = await recover({ account_id: account, recovery_code: b64(randomBytes(32)) });
      expect([wrong.status, wrong.body['code']]).toEqual([401, 'bad_recovery']);
      expect((await recover({ recovery_code: b64(recoveryCode) })).status).toBe(400);
      expect((await recover({ account_id: account, phone_token: b64(secrets.phoneToken), recovery_code: b64(recoveryCode) })).status).toBe(400);
      for (let i = 0; i < 2; i += 1) {
        const done = await recover({ phone_token: b64(secrets.phoneToken), recovery_code: b64(recoveryCode) });
        expect([done.status, done.body['account_id']]).toEqual([200, account]);
      }
      const keys = (of: Uint8Array): Promise<Answer> => call(url('/v1/keys'), 'GET', { Authorization: `Bearer ${account}.${b64(of)}` });
      expect([(await keys(secret)).status, (await keys(newSecret)).status]).toEqual([401, 200]);
      const { registration: others } = await newRegistration(1);
      const again = await call(url('/v1/accounts/recover'), 'POST', {}, { ...others, account_id: account, recovery_code: b64(recoveryCode) });
      expect(again.status).toBe(401);
    });
  });
}
