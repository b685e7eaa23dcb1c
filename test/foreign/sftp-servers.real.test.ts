import { describeForeign } from './describe-foreign.ts';

describeForeign('SFTP');
