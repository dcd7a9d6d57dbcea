import { useRouter } from 'expo-router';
import type { ReactElement } from 'react';
import { useEffect } from 'react';
import { View } from 'react-native';

import { useWords } from '../src/ui/i18n/words';
import { countryName, prefixOf, toE164 } from '../src/ui/join/numbers';
import { Button } from '../src/ui/parts/button';
import { Field } from '../src/ui/parts/field';
import { Icon } from '../src/ui/parts/icon';
import { Screen } from '../src/ui/parts/screen';
import { Notice } from '../src/ui/parts/states';
import { Txt } from '../src/ui/parts/text';
import { Touch } from '../src/ui/parts/touch';
import { useJoinDraft } from '../src/ui/frame/join_draft';
import { useDevice } from '../src/ui/state/preferences';
import { useColours } from '../src/ui/theme/theme';
import { radius, space } from '../src/ui/theme/tokens';

/** Name, and a number if the person wants to be found by it. */
export default function Profile(): ReactElement {
  const { t, language } = useWords();
  const router = useRouter();
  const device = useDevice();
  const colours = useColours();
  const { draft, change } = useJoinDraft();
  useEffect(() => {
    if (draft.country === null) void device.addressBook.country().then((country) => change({ country: country ?? 'DE' }), () => change({ country: 'DE' }));
  }, [change, device, draft.country]);
  const country = draft.country ?? 'DE';
  const typed = draft.number.trim() !== '';
  const number = typed ? toE164(draft.number, country) : null;
  const wrong = typed && number === null;
  const name = draft.name.trim();
  const shownCountry = `${country} ${prefixOf(country)}`;
  return (
    <Screen title={t('profile.title')} footer={<Button label={t('profile.join')} disabled={name === '' || wrong} onPress={() => router.push('/joining')} testID="join-now" />}>
      <View style={{ gap: space.xl }}>
        {draft.relay && <Notice look="plain" icon="server" title={draft.relay.relayName} text={new URL(draft.relay.relayUrl).host} />}
        <Field label={t('profile.name')} help={t('profile.name_help')} value={draft.name} maxLength={64} autoCapitalize="words" autoComplete="off" onChangeText={(value) => change({ name: value })} testID="name" />
        {draft.relay?.discovery !== false && (
          <Field
            label={t('profile.number')}
            help={t('profile.number_help')}
            mistake={wrong ? t('error.bad_number') : undefined}
            value={draft.number}
            onChangeText={(value) => change({ number: value })}
            keyboardType="phone-pad"
            autoComplete="off"
            maxLength={24}
            testID="number"
            before={
              <Touch
                label={t('profile.country', { name: countryName(language, country), prefix: prefixOf(country) })}
                onPress={() => router.push('/country')}
                style={{ flexDirection: 'row', alignItems: 'center', gap: space.xs, paddingStart: space.l, paddingEnd: space.s, borderRadius: radius.m, minHeight: 48 }}
                testID="country"
              >
                <Txt>{shownCountry}</Txt>
                <View style={{ transform: [{ rotate: '90deg' }] }}>
                  <Icon name="forward" size={14} colour={colours.inkSoft} />
                </View>
              </Touch>
            }
          />
        )}
      </View>
    </Screen>
  );
}
