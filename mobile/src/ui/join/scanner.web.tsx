/** A browser shows where the camera's picture would be; what it would see comes as an event. */
import { useEffect } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { Icon } from '../parts/icon';
import { radius, space } from '../theme/tokens';

export function Scanner({ onRead }: { readonly onRead: (text: string) => void }): ReactElement {
  useEffect(() => {
    const listen = (event: Event): void => onRead(String((event as CustomEvent<string>).detail));
    window.addEventListener('scanned', listen);
    return () => window.removeEventListener('scanned', listen);
  }, [onRead]);
  return (
    <View style={{ flex: 1, margin: space.l, borderRadius: radius.l, backgroundColor: '#1A1420', alignItems: 'center', justifyContent: 'center' }}>
      <Icon name="scan" size={160} colour="#F4EFF6" />
    </View>
  );
}
