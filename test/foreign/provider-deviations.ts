/** What a provider cannot give, whatever the driver does: cases of the suite, each with why. */
export const providerDeviations: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'Backblaze B2': {
    'lets exactly one of racing writers store a key that is to be absent':
      'it refuses conditions, so that it is looked before each put instead',
  },
  'Google Cloud Storage': {
    'lets exactly one of racing writers store a key that is to be absent':
      'it takes no condition but by generation, and says nothing',
  },
};
