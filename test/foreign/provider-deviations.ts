/** What a provider cannot give, whatever the driver does: cases of the suite, each with why. */
export const providerDeviations: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'Google Cloud Storage': {
    'lets exactly one of racing writers store a key that is to be absent':
      'it takes no condition but by generation, and says nothing',
  },
};
