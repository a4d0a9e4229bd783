/** Where notices go. */
import type { Schemas } from "../../api/client";

/** As the form holds it. */
export interface Channel {
  /** Of this page only. */
  key: number;
  type: string;
  to: string;
  url: string;
  /** Of one that is stored: where it stands there, and the host of its URL, which is all that is known of it. */
  stored: { place: number; host: string } | null;
}

export const CHANNELS: Record<string, string> = {
  operational: "Operational webhook",
  email: "E-mail",
  slack: "Slack or the like",
  webhook: "A URL of yours",
};

export const MOST = 10;

let keys = 0;
export const fresh = (type: string): Channel => ({ key: ++keys, type, to: "", url: "", stored: null });

export const fromOut = (channels: Schemas["AlertChannelOut"][]): Channel[] =>
  channels.map(({ type, to, host }, place) => ({ ...fresh(type), to: to ?? "", stored: host ? { place, host } : null }));

/** A stored URL is kept as long as its channel stands at the same place. */
export const keepsUrl = (channel: Channel, place: number) => channel.stored?.place === place;

export const toIn = (channels: Channel[]): Schemas["AlertChannelIn"][] =>
  channels.map(({ type, to, url }) => ({
    type,
    ...(type === "email" && { to: to.trim() }),
    ...((type === "slack" || type === "webhook") && url.trim() && { url: url.trim() }),
  }));

export const channelText = ({ type, to, host }: Schemas["AlertChannelOut"]) =>
  [CHANNELS[type] ?? type, to ?? host].filter(Boolean).join(": ");

/** Of a notice, whose channel is a kind with a host or address behind it. */
export function noticeText({ channel }: Schemas["AlertNoticeOut"]): string {
  const [type = "", to] = channel.split(" ");
  return channelText({ type, ...(to && { to }) });
}
