// What the app makes of links: the route that Android's link leads to, and what the core reads of the link that comes out there.
// JSON in: [link, ...]; JSON out: [{route, relayUrl, code, trustRoot, discovery}, ...]. Run in mobile/ with --import tsx.
import { readFileSync } from 'node:fs';
import { redirectSystemPath } from '../../mobile/app/+native-intent.ts';
import { parseInvite } from '../../mobile/src/core/links.ts';

const hex = (bytes) => Buffer.from(bytes).toString('hex');

const read = (link) => {
  const [route, query] = redirectSystemPath({ path: link, initial: true }).split('?');
  const { relayUrl, code, trustRoot, discovery } = parseInvite(new URLSearchParams(query).get('link') ?? link);
  return { route, relayUrl, code, trustRoot: hex(trustRoot), discovery: discovery && [hex(discovery.voprfPublicKey), hex(discovery.appSalt)] };
};

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(read)));
