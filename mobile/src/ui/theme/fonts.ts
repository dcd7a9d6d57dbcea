/** The font files, by the names of `families`. They lie in the app; nothing is fetched. */
import { IBMPlexSansArabic_400Regular } from '@expo-google-fonts/ibm-plex-sans-arabic/400Regular';
import { IBMPlexSansArabic_500Medium } from '@expo-google-fonts/ibm-plex-sans-arabic/500Medium';
import { IBMPlexSansArabic_600SemiBold } from '@expo-google-fonts/ibm-plex-sans-arabic/600SemiBold';
import { Inter_400Regular } from '@expo-google-fonts/inter/400Regular';
import { Inter_500Medium } from '@expo-google-fonts/inter/500Medium';
import { Inter_600SemiBold } from '@expo-google-fonts/inter/600SemiBold';

import { families } from './tokens';

export const fontFiles = {
  [families.latin['400']]: Inter_400Regular,
  [families.latin['500']]: Inter_500Medium,
  [families.latin['600']]: Inter_600SemiBold,
  [families.arabic['400']]: IBMPlexSansArabic_400Regular,
  [families.arabic['500']]: IBMPlexSansArabic_500Medium,
  [families.arabic['600']]: IBMPlexSansArabic_600SemiBold,
};
