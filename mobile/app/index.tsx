import type { ReactElement } from 'react';
import { View } from 'react-native';

export default function Start(): ReactElement {
  return <View />;
}
