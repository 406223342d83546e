// The start: each concern lives in a module of its own and finds its elements by attributes.
import "./beats.js";
import "./chart.js";
import "./waterfall.js";
import "./times.js";
import "./theme.js";
import "./tips.js";
import "./copy.js";
import "./actions.js";
import "./forms.js";
import "./monitor_form.js";
import "./quick_add.js";
import "./check_now.js";
import "./channel_test.js";
import "./filters.js";
import "./live.js";
import "./keys.js";
import "./palette.js";
