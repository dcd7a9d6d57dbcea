/** `make soak MESSAGES=10000 SEED=1`: exit code 1 when anything was not as it must be. */
import { soak, summarize } from './soak.ts';

const number = (name: string, normal: number): number => Number(process.env[name] ?? normal) || normal;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const messages = number('MESSAGES', 10_000);
const seed = number('SEED', Math.floor(Math.random() * 1e9));
const troubles = number('TROUBLES', Math.max(5, Math.round(messages / 150)));
say(`seed ${seed}: ${messages} messages each way, ${troubles} troubles`);
const summary = await soak({ messages, seed, troubles, deadlineS: number('DEADLINE_S', 3_600), say });
say(summarize(summary));
process.exitCode = summary.wrong.length > 0 ? 1 : 0;
