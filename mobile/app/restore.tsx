import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { Steps } from '../src/ui/join/steps';
import { Button } from '../src/ui/parts/button';
import { Field } from '../src/ui/parts/field';
import { Group, Row } from '../src/ui/parts/rows';
import { Screen } from '../src/ui/parts/screen';
import { Trouble } from '../src/ui/parts/states';
import { Txt } from '../src/ui/parts/text';
import { useAction, useProgress } from '../src/ui/state/hooks';
import { useDevice } from '../src/ui/state/preferences';
import { space } from '../src/ui/theme/tokens';

/** An archive of the old phone, and the code it showed. */
export default function Restore(): ReactElement {
  const t = useT();
  const router = useRouter();
  const device = useDevice();
  const [file, setFile] = useState<string | null>(null);
  const [code, setCode] = useState('');
  const progress = useProgress('import');
  const choose = useAction(async () => setFile((await device.files.choose()) ?? file));
  const restore = useAction(async (messenger) => {
    await messenger.importArchive(file ?? '', code.trim());
    await messenger.start();
    router.dismissTo('/chats');
  });
  return (
    <Screen title={t('restore.title')} padded={false} footer={<Button label={t('restore.go')} busy={restore.running} disabled={file === null || code.trim() === ''} onPress={() => void restore.run()} testID="restore-now" />}>
      <Txt tone="inkSoft" style={{ paddingHorizontal: space.xl, paddingBottom: space.l }}>
        {t('restore.detail')}
      </Txt>
      <Group>
        <Row icon="archive" title={t('restore.file')} detail={file === null ? t('restore.no_file') : file.split('/').at(-1)} onPress={() => void choose.run()} last testID="choose" />
      </Group>
      <View style={{ paddingHorizontal: space.xl, gap: space.l }}>
        <Field label={t('restore.code')} help={t('restore.code_help')} value={code} onChangeText={setCode} autoCapitalize="characters" autoComplete="off" multiline testID="code" />
        {restore.running && <Steps progress={progress} running />}
        <Trouble code={restore.error ?? choose.error} />
      </View>
    </Screen>
  );
}
