/** Digits or letters in groups, to be compared or copied by hand. Always from left to right, as people read numbers aloud. */
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useLook } from '../theme/theme';
import { radius, space } from '../theme/tokens';
import { Txt } from './text';

export function CodeBlock({ groups, label, columns = 4 }: { readonly groups: readonly string[]; readonly label: string; readonly columns?: number }): ReactElement {
  const { colours, textScale } = useLook();
  const across = textScale > 1.5 ? 2 : columns;
  const ltr = { dir: 'ltr' } as object;
  return (
    <View
      accessible
      accessibilityLabel={`${label}: ${groups.map((group) => [...group].join(' ')).join(', ')}`}
      style={{ backgroundColor: colours.surface, borderRadius: radius.l, borderWidth: 1, borderColor: colours.line, paddingVertical: space.l, paddingHorizontal: space.m, flexDirection: 'row', flexWrap: 'wrap', rowGap: space.s, direction: 'ltr' }}
      {...ltr}
    >
      {groups.map((group, at) => (
        <View key={at} style={{ width: `${100 / across}%`, alignItems: 'center' }}>
          <Txt kind="digits" selectable={false} style={{ writingDirection: 'ltr' }}>
            {group}
          </Txt>
        </View>
      ))}
    </View>
  );
}
