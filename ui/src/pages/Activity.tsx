import { getRouteApi } from "@tanstack/react-router";
import { Page } from "../components/Page";
import { TimeRange } from "../components/TimeRange";
import { TrafficCharts, TrafficFigures } from "../components/Traffic";

const route = getRouteApi("/app/$appId/activity");

export function Activity() {
  const { appId } = route.useParams();
  const { range = "24h" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Page
      title="Activity"
      description="What was sent to your endpoints, and how it arrived."
      actions={<TimeRange value={range} onChange={(range) => void navigate({ search: { range }, replace: true })} />}
    >
      <div className="hw-figures"><TrafficFigures of={{ appId }} range={range} /></div>
      <TrafficCharts of={{ appId }} range={range} />
    </Page>
  );
}
