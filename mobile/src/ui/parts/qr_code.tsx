/** A QR code as one path. Dark on white in both themes: many readers want it so. */
import { encodeQR } from 'qr';
import { useMemo } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';
import Svg, { Path } from 'react-native-svg';

import { radius } from '../theme/tokens';

/** Modules of a code as one path on a grid of a unit a module. */
export function qrPath(text: string): { readonly path: string; readonly size: number } {
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: 2 });
  let path = '';
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (row[x] !== true) continue;
      let end = x;
      while (row[end + 1] === true) end += 1;
      path += `M${x} ${y}h${end - x + 1}v1H${x}z`;
      x = end;
    }
  });
  return { path, size: rows.length };
}

export function QrCode({ text, label, size = 240 }: { readonly text: string; readonly label: string; readonly size?: number }): ReactElement {
  const { path, size: modules } = useMemo(() => qrPath(text), [text]);
  return (
    <View accessible accessibilityRole="image" accessibilityLabel={label} style={{ backgroundColor: '#FFFFFF', borderRadius: radius.l, padding: 12, alignSelf: 'center' }}>
      <Svg width={size} height={size} viewBox={`0 0 ${modules} ${modules}`}>
        <Path d={path} fill="#000000" />
      </Svg>
    </View>
  );
}
