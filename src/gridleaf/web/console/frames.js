// The log of OCPP frames with a filter by action. An opened frame stays open while others come.
export default {
  props: { frames: Array },
  data: () => ({ query: "" }),
  computed: {
    shown() {
      const wanted = this.query.trim().toLowerCase();
      return this.frames.filter((frame) => frame.action.toLowerCase().includes(wanted));
    },
  },
  template: `
    <div>
      <div class="row">
        <div class="field">
          <label for="frame-filter">Filter by action</label>
          <input id="frame-filter" type="search" v-model="query" placeholder="all actions" autocomplete="off">
        </div>
        <p class="quiet small" role="status">{{ shown.length }} of {{ frames.length }} frames, newest first</p>
      </div>
      <div class="frames">
        <details v-for="frame in shown" :key="frame.key" :class="frame.kind === 'error' ? 'ocpp refused' : 'ocpp'">
          <summary>
            <time class="quiet">{{ frame.at }}</time>
            <span class="direction" aria-hidden="true">{{ frame.outgoing ? '→' : '←' }}</span>
            <span class="sr-only">{{ frame.outgoing ? 'to the station' : 'from the station' }}</span>
            <span class="strong">{{ frame.action || frame.kind }}</span>
            <span class="quiet">{{ frame.kind }}</span>
          </summary>
          <pre tabindex="0">{{ frame.text }}</pre>
        </details>
      </div>
    </div>`,
};
