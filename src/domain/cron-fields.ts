const monthNames = 'JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC';
const weekdayNames = 'SUN|MON|TUE|WED|THU|FRI|SAT';
const number = '[0-9]{1,4}';
const fieldForms = [number, number, number, `(?:${number}|${monthNames})`, `(?:${number}|${weekdayNames})`].map(
  (value) => {
    const part = `(?:[*?]|${value}(?:-${value})?)(?:/${number})?`;
    return new RegExp(`^${part}(?:,${part})*$`, 'i');
  },
);

/** As robfig/cron has them, which is CronJob's: other dialects (Quartz, Jenkins) mean something else by more letters. */
export function isCronField(field: string, index: number): boolean {
  return fieldForms[index]?.test(field) === true;
}

const lastValues = [59, 23, 31, 12, 6];

/** As CronJob reads it, `5/15` means from 5 to the end by 15; croner takes ranges only. */
export function spellOutSteps(field: string, index: number): string {
  const parts = field
    .split(',')
    .map((part) => part.replace(/^([0-9A-Za-z]+)\/(?=[0-9]+$)/, `$1-${lastValues[index] ?? ''}/`));
  return parts.join(',');
}
