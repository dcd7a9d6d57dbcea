import { useRouter } from 'expo-router';
import { useMemo, useState } from 'react';
import type { ReactElement } from 'react';
import { FlatList, View } from 'react-native';

import { useWords } from '../src/ui/i18n/words';
import { countries } from '../src/ui/join/numbers';
import { Field } from '../src/ui/parts/field';
import { ChoiceRow } from '../src/ui/parts/rows';
import { Screen } from '../src/ui/parts/screen';
import { Empty } from '../src/ui/parts/states';
import { useJoinDraft } from '../src/ui/frame/join_draft';
import { space } from '../src/ui/theme/tokens';

export default function CountryPicker(): ReactElement {
  const { t, language } = useWords();
  const router = useRouter();
  const { draft, change } = useJoinDraft();
  const [sought, setSought] = useState('');
  const all = useMemo(() => countries(language), [language]);
  const wanted = sought.trim().toLocaleLowerCase(language);
  const found = wanted === '' ? all : all.filter(({ name, prefix, code }) => name.toLocaleLowerCase(language).includes(wanted) || prefix.startsWith(wanted.startsWith('+') ? wanted : `+${wanted}`) || code.toLowerCase() === wanted);
  return (
    <Screen title={t('country.title')} fixed>
      <View style={{ paddingHorizontal: space.xl, paddingBottom: space.s }}>
        <Field label={t('country.search')} value={sought} onChangeText={setSought} autoFocus testID="country-search" />
      </View>
      <FlatList
        data={found}
        keyExtractor={({ code }) => code}
        keyboardShouldPersistTaps="handled"
        initialNumToRender={14}
        ListEmptyComponent={<Empty icon="search" title={t('search.nothing')} detail={t('country.nothing')} />}
        renderItem={({ item }) => (
          <ChoiceRow
            title={item.name}
            detail={item.prefix}
            chosen={item.code === draft.country}
            onPress={() => {
              change({ country: item.code });
              router.back();
            }}
          />
        )}
      />
    </Screen>
  );
}
