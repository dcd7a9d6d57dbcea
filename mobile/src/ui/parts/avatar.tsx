import { memo } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { avatars } from '../theme/tokens';
import { Icon } from './icon';
import { Txt } from './text';

/** The same for one person always and everywhere, and nothing about them: FNV-1a of the account id. */
function shade(peer: string): (typeof avatars)[number] {
  let hash = 0x811c9dc5;
  for (let at = 0; at < peer.length; at += 1) hash = Math.imul(hash ^ peer.charCodeAt(at), 0x01000193) >>> 0;
  return avatars[hash % avatars.length] ?? avatars[0];
}

/** At most two letters: first of the first and of the last word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter((word) => /^\p{L}/u.test(word));
  const [first, last] = [words[0], words.length > 1 ? words.at(-1) : undefined];
  return [first, last].map((word) => (word ? [...word][0]?.toLocaleUpperCase() : '')).join(/^[\u0590-\u08FF]/.test(first ?? '') ? '\u200C' : '');
}

export const Avatar = memo(function Avatar({ peer, name, size = 48 }: { readonly peer: string; readonly name: string; readonly size?: number }): ReactElement {
  const { ground, ink } = shade(peer);
  const letters = initials(name);
  return (
    <View aria-hidden importantForAccessibility="no-hide-descendants" style={{ width: size, height: size, borderRadius: size / 2, backgroundColor: ground, alignItems: 'center', justifyContent: 'center' }}>
      {letters === '' ? (
        <Icon name="person" size={size * 0.5} colour={ink} />
      ) : (
        <Txt colour={ink} allowFontScaling={false} weight="600" style={{ fontSize: size * 0.38, lineHeight: size * 0.56, letterSpacing: 0 }}>
          {letters}
        </Txt>
      )}
    </View>
  );
});
