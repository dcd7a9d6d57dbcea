// Standard input: [[text, mask or null], ...]. Output: for each the modules by our encoder, and by the one that the app uses.
import { readFileSync } from 'node:fs';

import encodeQR from '../../mobile/node_modules/qr/index.js';
import { matrix } from '../../relay/pages/qr.js';

const asked = JSON.parse(readFileSync(0, 'utf8'));
const bare = (rows) => rows.slice(1, -1).map((row) => row.slice(1, -1));
console.log(
  JSON.stringify(
    asked.map(([text, mask]) => [
      matrix(text, mask ?? undefined),
      mask === null ? null : bare(encodeQR(text, 'raw', { ecc: 'medium', encoding: 'byte', border: 1, mask })),
    ]),
  ),
);
