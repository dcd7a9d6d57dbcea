/** What must be registered before any screen is drawn: Android may start JavaScript for the mailbox alone. */
import { getLocales } from 'expo-localization';

import { chooseLanguage } from '../ui/i18n/languages';
import { translator } from '../ui/i18n/words';
import type { NoticeWords } from './headless.ts';
import { nameChannels, registerMailTask } from './this_phone.ts';

/** In the phone's language, of the screens' own table. */
function words(): NoticeWords {
  const t = translator(chooseLanguage(getLocales().map(({ languageTag }) => languageTag)));
  return {
    app: t('app.name'),
    newMessage: t('notify.new'),
    incomingCall: t('call.incoming'),
    answer: t('call.answer'),
    decline: t('call.decline'),
    service: t('delivery.service'),
    serviceBody: '',
    messages: t('notify.new'),
    calls: t('call.incoming'),
  };
}

registerMailTask(words);
nameChannels(words()).catch(() => undefined);
