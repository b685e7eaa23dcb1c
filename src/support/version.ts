/** Version of the program, as it stands in manifests and `pgbackup --version`. Checked against package.json by a test. */
export const programVersion = '0.1.0';
