// Server-sent events out of a stream of text, however it was cut into pieces.

export interface Frame {
  event: string;
  id: string | null;
  data: string;
}

export class Frames {
  private rest = "";

  /** The events that are whole by now. */
  take(text: string): Frame[] {
    const parts = (this.rest + text.replaceAll("\r", "")).split("\n\n");
    this.rest = parts.pop() ?? "";
    return parts.map(frame).filter((f) => f.data !== "");
  }
}

function frame(text: string): Frame {
  const found: Frame = { event: "message", id: null, data: "" };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    const name = line.slice(0, colon);
    if (name === "event") found.event = value;
    else if (name === "id") found.id = value;
    else if (name === "data") found.data += found.data === "" ? value : `\n${value}`;
  }
  return found;
}
