/** What the runs measure: printed at once, and collected for the table at the end of `make calls`. */
import { appendFileSync } from 'node:fs';

export function figure(what: string, value: string): void {
  process.stdout.write(`  ${what}: ${value}\n`);
  const file = process.env['CALLS_FIGURES'];
  if (file !== undefined) appendFileSync(file, `${what}|${value}\n`);
}
