/** A policy as a page of ours has it below a heading, for another bucket and prefix, and for whom. */
export function readPolicy(
  page: string,
  heading: string,
  { bucket, prefix, principal }: { readonly bucket: string; readonly prefix: string; readonly principal: string },
): string {
  const policy = readJson(page, heading) as { readonly Statement: readonly object[] };
  const Statement = policy.Statement.map((statement) => ({ ...statement, Principal: { AWS: [principal] } }));
  return JSON.stringify({ ...policy, Statement })
    .replaceAll('my-bucket', bucket)
    .replaceAll('/backups/', `/${prefix}/`);
}

/** The first, or another, piece of JSON below a heading. */
export function readJson(page: string, heading: string, index = 0): unknown {
  const [, below = ''] = page.split(new RegExp(`^#+ ${heading}$`, 'm'));
  const [part = ''] = below.split(/^#+ /m);
  const pieces = [...part.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text = '']) => text);
  const piece = pieces[index];
  if (piece === undefined) throw new Error(`there is no such JSON below ${heading}`);
  return JSON.parse(piece);
}
