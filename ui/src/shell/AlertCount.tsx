import { VisuallyHidden } from "@mantine/core";
import { useOpenAlerts } from "../api/alerts";

/** How many alerts are open, if any. */
export function AlertCount() {
  const { data } = useOpenAlerts();
  if (!data?.data.length) return null;
  return <span className="hw-count">{data.data.length}{!data.done && "+"}<VisuallyHidden> open</VisuallyHidden></span>;
}
