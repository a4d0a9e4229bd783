/** Where the navigation leads. */
import {
  IconActivity, IconApps, IconBell, IconBolt, IconHome, IconReceipt, IconListDetails, IconPlugConnected, IconServer, IconTags, type Icon,
} from "@tabler/icons-react";

export interface Place {
  to: string;
  label: string;
  icon: Icon;
  /** Not also for what is below it. */
  exact?: boolean;
  /** How many alerts are open stands beside it. */
  alerts?: boolean;
}

const OPERATOR: Place[] = [
  { to: "/", label: "Overview", icon: IconHome },
  { to: "/app", label: "Applications", icon: IconApps },
  { to: "/live", label: "Live tail", icon: IconBolt },
  { to: "/event-type", label: "Event types", icon: IconTags },
  { to: "/source", label: "Sources", icon: IconPlugConnected },
  { to: "/alerts", label: "Alerts", icon: IconBell, alerts: true },
  { to: "/usage", label: "Usage", icon: IconReceipt },
  { to: "/operate", label: "Operate", icon: IconServer },
];

/** For an operator, or for one application. */
export function places(appId: string | null): Place[] {
  if (appId === null) return OPERATOR;
  return [
    { to: `/app/${appId}`, label: "Endpoints", icon: IconPlugConnected, exact: true },
    { to: `/app/${appId}/msg`, label: "Messages", icon: IconListDetails },
    { to: "/live", label: "Live tail", icon: IconBolt },
    { to: "/event-type", label: "Event types", icon: IconTags },
    { to: `/app/${appId}/activity`, label: "Activity", icon: IconActivity },
  ];
}
