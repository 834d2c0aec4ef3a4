// The researcher's pages work without this file. Each part is switched on by a data- attribute.
"use strict";
