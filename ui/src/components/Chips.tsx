import { SafeText } from "./SafeText";

/** Names as chips; `all` where there is no filter. */
export function Chips({ names, all }: { names: string[] | null | undefined; all: string }) {
  if (!names?.length) return <span>{all}</span>;
  return <>{names.map((name) => <span key={name} className="hw-chip"><SafeText>{name}</SafeText></span>)}</>;
}
