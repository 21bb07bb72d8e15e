// The texts of reports: as a template file that can be edited (-t), or with every `$name` filled in, to look at (-b).
import { bounceText, loadTemplates } from '../../config/bounce-text.ts';
import type { Configuration } from '../../config/configuration.ts';
import type { Warn } from '../../config/logical-lines.ts';
import { renderTemplate, reportKinds } from '../../message/bounce-templates.ts';

/** `file` is '' for the built-in templates. Throws ConfigurationError when they cannot be read or expanded. */
export function showTemplates(configuration: Configuration, file: string, expanded: boolean, warn: Warn): string {
  const templates = loadTemplates(file, warn);
  const obsolete = configuration.get('header_from_format') === 'obsolete';
  const shown = reportKinds.map((kind) => {
    if (!expanded) return renderTemplate(templates[kind], obsolete);
    return `${[`expanded_${kind}_text = <<EOF`, ...bounceText(templates[kind], configuration, warn), 'EOF'].join('\n')}\n`;
  });
  return shown.join('\n');
}
