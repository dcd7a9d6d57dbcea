/** Before every file of component tests: somebody is looking at the app. */
import { AppState } from 'react-native';

Object.defineProperty(AppState, 'currentState', { value: 'active', writable: true });

// Swiping needs Reanimated's native side; what it uncovers is drawn beside the line, so that it is looked at as well.
jest.mock('react-native-gesture-handler/ReanimatedSwipeable', () => ({
  __esModule: true,
  default: ({ children, renderLeftActions, renderRightActions }: { children: unknown; renderLeftActions?: () => unknown; renderRightActions?: () => unknown }) =>
    jest.requireActual<typeof import('react')>('react').createElement('Swiped', null, renderLeftActions?.() as never, children as never, renderRightActions?.() as never),
}));
