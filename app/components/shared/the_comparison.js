/** The page's one comparison. */

import { Comparison } from "./comparison.js";
import { session } from "./session.js";

export const comparison = new Comparison(session);
