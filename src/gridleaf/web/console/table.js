// A data table from plain rows: Vue keeps the rows that stay, so focus and scrolling survive updates.
// All text is interpolated as text; nothing is ever taken as HTML.
export default {
  props: { caption: String, columns: Array, rows: Array, look: String, empty: String },
  template: `
    <p v-if="!rows.length" class="quiet padded">{{ empty }}</p>
    <div v-else class="table-frame" tabindex="0" role="region" :aria-label="caption">
      <table :class="look">
        <caption class="sr-only">{{ caption }}</caption>
        <thead><tr>
          <th v-for="column in columns" scope="col" :class="column.look">{{ column.title }}</th>
        </tr></thead>
        <tbody>
          <tr v-for="row in rows" :key="row.key" :class="row.look">
            <component v-for="(cell, i) in row.cells" :is="i ? 'td' : 'th'" :scope="i ? null : 'row'"
                       :class="columns[i].look" :data-label="columns[i].title">
              <a v-if="cell.href" class="row-link" :href="cell.href" :aria-label="cell.label || null">{{ cell.text }}</a>
              <span v-else-if="cell.chip" :class="'chip ' + cell.chip">{{ cell.text }}</span>
              <span v-else-if="cell.text" :class="cell.note ? 'strong' : null">{{ cell.text }}</span>
              <span v-if="cell.note" class="quiet small note">{{ cell.note }}</span>
              <span v-if="cell.warning" class="not-obeying">
                <svg viewBox="0 0 24 24" aria-hidden="true"><path fill="none" stroke="currentColor" stroke-width="2"
                  stroke-linejoin="round" stroke-linecap="round" d="M12 3.500 2.500 20h19zM12 10v4.500M12 17.300h.010"/></svg>
                {{ cell.warning }}</span>
              <span v-if="cell.bar" class="soc-bar" aria-hidden="true"
                    :style="{'--soc': cell.bar[0], '--target': cell.bar[1], '--reserve': cell.bar[2]}">
                <span class="soc-fill"></span><span class="soc-reserve"></span><span class="soc-target"></span>
              </span>
              <ul v-if="cell.items.length" class="reasons"><li v-for="item in cell.items">{{ item }}</li></ul>
            </component>
          </tr>
        </tbody>
      </table>
    </div>`,
};
