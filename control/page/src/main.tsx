// Where the page begins.

import { render } from "preact";
import { App } from "./app";
import "./style/base.css";
import "./style/parts.css";
import "./style/service.css";

const place = document.getElementById("page");
if (place) render(<App />, place);
