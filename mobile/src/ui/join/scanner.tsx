/**
 * A QR code through the camera. Pictures are taken one after the other and read in JavaScript: the readers that come with
 * Android's camera packages are Google's ML Kit. Nothing is kept.
 */
import { CameraView, useCameraPermissions } from 'expo-camera';
import { useEffect, useRef } from 'react';
import type { ReactElement } from 'react';
import { Linking, View } from 'react-native';

import { useT } from '../i18n/words';
import { Button } from '../parts/button';
import { Empty, Loading } from '../parts/states';
import { radius, space } from '../theme/tokens';
import { readQr } from './read_qr';

/** Between two pictures, so that the preview stays smooth on a slow phone. */
const PAUSE_MS = 350;

export function Scanner({ onRead }: { readonly onRead: (text: string) => void }): ReactElement {
  const t = useT();
  const [permission, ask] = useCameraPermissions();
  const camera = useRef<CameraView>(null);
  const granted = permission?.granted === true;
  useEffect(() => {
    if (!granted) return undefined;
    let open = true;
    let timer: ReturnType<typeof setTimeout>;
    const look = async (): Promise<void> => {
      try {
        const picture = await camera.current?.takePictureAsync({ base64: true, quality: 0.5, skipProcessing: true, shutterSound: false });
        const text = picture?.base64 === undefined ? null : readQr(picture.base64);
        if (text !== null && open) onRead(text);
      } catch {
        // The camera is not ready yet, or busy: the next turn tries again.
      }
      if (open) timer = setTimeout(() => void look(), PAUSE_MS);
    };
    timer = setTimeout(() => void look(), PAUSE_MS);
    return () => {
      open = false;
      clearTimeout(timer);
    };
  }, [granted, onRead]);
  if (!permission) return <Loading />;
  if (!granted) {
    return (
      <Empty icon="scan" title={t('scan.permission')} detail={t('scan.permission_detail')}>
        <Button label={t('scan.allow')} onPress={() => void (permission.canAskAgain ? ask() : Linking.openSettings())} />
      </Empty>
    );
  }
  return (
    <View style={{ flex: 1, margin: space.l, borderRadius: radius.l, overflow: 'hidden' }}>
      <CameraView ref={camera} style={{ flex: 1 }} facing="back" pictureSize="640x480" animateShutter={false} />
    </View>
  );
}
