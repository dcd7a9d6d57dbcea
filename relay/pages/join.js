// The invite stands behind the # of this page's address. A browser sends that part to nobody, and nothing here does: there is no request.
import { matrix } from './qr.js';

const CODE = /[#&]c=[0-9a-hjkmnp-tv-z]{24}(?:&|$)/;
const fragment = location.hash;
const byId = (id) => document.getElementById(id);

if (CODE.test(fragment)) {
  const relay = location.href.slice(0, location.href.indexOf('#')).replace(/\/join(?:\?.*)?$/, '');
  const link = `${relay}/join${fragment}`;
  byId('open').href = `sottovoce://join${fragment}&r=${encodeURIComponent(relay)}`;
  byId('code').append(drawing(matrix(link)));
  byId('invite').hidden = false;
  const copy = byId('copy');
  if (navigator.clipboard) {
    copy.addEventListener('click', async () => {
      await navigator.clipboard.writeText(link);
      copy.textContent = copy.dataset.done;
    });
  } else copy.hidden = true; // no TLS, no clipboard
} else byId('broken').hidden = false;

// Another language is another page; the invite goes along with the address, behind the # as before.
for (const one of document.querySelectorAll('nav a')) one.href = one.getAttribute('href') + fragment;

/** One path for all dark modules, four quiet modules around. */
function drawing(modules) {
  const size = modules.length;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', `-4 -4 ${size + 8} ${size + 8}`);
  svg.setAttribute('shape-rendering', 'crispEdges');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  const steps = modules.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')));
  path.setAttribute('d', steps.join(''));
  svg.append(path);
  return svg;
}
