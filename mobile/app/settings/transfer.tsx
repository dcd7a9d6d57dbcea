import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { Steps } from '../../src/ui/join/steps';
import { Button } from '../../src/ui/parts/button';
import { CodeBlock } from '../../src/ui/parts/code_block';
import { Screen } from '../../src/ui/parts/screen';
import { Notice, Trouble } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { useAction, useProgress } from '../../src/ui/state/hooks';
import { useDevice } from '../../src/ui/state/preferences';
import { space } from '../../src/ui/theme/tokens';

interface Archive {
  readonly file: string;
  readonly code: string;
  readonly messages: number;
  readonly contacts: number;
}

/** An encrypted archive for a new phone, and the code that opens it. They travel by different ways. */
export default function Transfer(): ReactElement {
  const t = useT();
  const device = useDevice();
  const progress = useProgress('export');
  const [archive, setArchive] = useState<Archive | null>(null);
  const [saved, setSaved] = useState(false);
  const make = useAction(async (messenger) => {
    const file = await device.files.temporary();
    setArchive({ file, ...(await messenger.exportArchive(file)) });
    setSaved(false);
  });
  const save = useAction(async () => {
    if (archive && (await device.files.saveAs(archive.file, 'sottovoce.archive')) !== null) {
      await device.files.remove(archive.file);
      setSaved(true);
    }
  });
  const groups = archive?.code.replace(/[\s-]/g, '').match(/.{1,4}/g) ?? [];
  return (
    <Screen
      title={t('transfer.title')}
      footer={
        archive === null ? (
          <Button label={t('transfer.make')} busy={make.running} onPress={() => void make.run()} testID="make" />
        ) : (
          <Button label={t(saved ? 'transfer.saved' : 'transfer.save')} icon={saved ? 'check' : 'archive'} disabled={saved} busy={save.running} onPress={() => void save.run()} testID="save-archive" />
        )
      }
    >
      <View style={{ gap: space.l }}>
        <Txt tone="inkSoft">{t('transfer.detail')}</Txt>
        {make.running && <Steps progress={progress} running />}
        <Trouble code={make.error ?? save.error} />
        {archive && (
          <>
            <Notice look="good" icon="check" text={t('transfer.made', { messages: archive.messages, contacts: archive.contacts })} />
            <Txt kind="label">{t('transfer.code')}</Txt>
            <CodeBlock groups={groups} label={t('transfer.code')} />
            <Notice look="caution" icon="key" text={t('transfer.warning')} />
          </>
        )}
      </View>
    </Screen>
  );
}
