import { render } from '@testing-library/react-native';

import Start from '../app/index';

test('the start screen is drawn', () => {
  expect(render(<Start />).toJSON()).not.toBeNull();
});
