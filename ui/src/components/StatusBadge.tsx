/** How something stands: a dot and a word, so that colour is not all there is. */
export type Tone = "good" | "bad" | "warn" | "info" | "quiet";

export function StatusBadge({ tone, children }: { tone: Tone; children: string }) {
  return <span className={`hw-status hw-${tone}`}>{children}</span>;
}

const STATUSES: Record<number, [Tone, string]> = {
  0: ["good", "Delivered"],
  1: ["info", "Pending"],
  2: ["bad", "Failed"],
  3: ["info", "Sending"],
  4: ["quiet", "Cancelled"],
};

/** The status of a delivery. */
export function DeliveryStatus({ status }: { status: number }) {
  const [tone, word] = STATUSES[status] ?? ["quiet", "Unknown"];
  return <StatusBadge tone={tone}>{word}</StatusBadge>;
}

/** The status of an attempt: the code of the answer, or that there was none. */
export function AttemptStatus({ status, code }: { status: number; code: number }) {
  return <StatusBadge tone={status === 0 ? "good" : "bad"}>{code === 0 ? "No answer" : String(code)}</StatusBadge>;
}
