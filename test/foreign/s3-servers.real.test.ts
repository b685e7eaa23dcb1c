import { describeForeign } from './describe-foreign.ts';

describeForeign('S3');
