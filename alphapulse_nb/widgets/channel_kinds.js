/** The kinds of channels as people see them, and how an address of each is written. */

/** By the name of the kind: its label, the scheme of an address, and the rest of an example. */
export const CHANNEL_KINDS = /** @type {Record<string, [string, string, string]>} */ ({
  email: ["E-mail", "mailtos", "user:password@smtp.example.com?from=desk@example.com&to=desk@example.com"],
  slack: ["Slack", "slack", "TokenA/TokenB/TokenC/#channel"],
  telegram: ["Telegram", "tgram", "BotToken/ChatId"],
  discord: ["Discord", "discord", "WebhookId/WebhookToken"],
  teams: ["Microsoft Teams", "workflows", "host.logic.azure.com/WorkflowId/Signature"],
  ntfy: ["ntfy", "ntfys", "user:password@ntfy.example.com/topic"],
  pushover: ["Pushover", "pover", "UserKey@Token"],
  pagerduty: ["PagerDuty", "pagerduty", "IntegrationKey@ApiKey"],
  opsgenie: ["Opsgenie", "opsgenie", "ApiKey/@user"],
  matrix: ["Matrix", "matrixs", "AccessToken@matrix.example.com/#room:example.com"],
  mattermost: ["Mattermost", "mmosts", "chat.example.com/Token?to=channel"],
  rocketchat: ["Rocket.Chat", "rockets", "WebhookA/WebhookB@chat.example.com/#channel"],
  gotify: ["Gotify", "gotifys", "gotify.example.com/Token"],
  signal: ["Signal", "signals", "signal.example.com/FromNumber/ToNumber"],
  json: ["JSON", "jsons", "example.com/path"],
  xml: ["XML", "xmls", "example.com/path"],
  form: ["A form", "forms", "example.com/path"],
  webhook: ["Signed webhook", "webhook+https", "example.com/path"],
});
/** The kind that is signed with a secret. */
export const SIGNED_KIND = "webhook";

/** @param {string} kind */
export const kindLabel = (kind) => CHANNEL_KINDS[kind]?.[0] ?? kind;

/** How an address of a kind is written; empty where that is not known here. @param {string} kind */
export function exampleOf(kind) {
  const [, scheme, rest] = CHANNEL_KINDS[kind] ?? [];
  return scheme ? `${scheme}://${rest}` : "";
}
