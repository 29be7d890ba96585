// What oidc-provider stores, in our store: one section per model. JWT access tokens are not stored at all.

import { nowSeconds } from './store.js';

const OF_A_GRANT = ['AuthorizationCode', 'RefreshToken', 'AccessToken'];

export function adapters(store) {
  return (model) => {
    const section = store.section(model);
    return {
      async upsert(id, payload, seconds) {
        section.set(id, payload, seconds);
        await store.saved();
      },
      async find(id) {
        return section.get(id);
      },
      async findByUid(uid) {
        return section.get(section.find((payload) => payload.uid === uid));
      },
      async findByUserCode() {
        return undefined; // the device flow is off
      },
      async consume(id) {
        const payload = section.get(id);
        if (payload) {
          section.replace(id, { ...payload, consumed: nowSeconds() });
          await store.saved();
        }
      },
      async destroy(id) {
        section.delete(id);
        await store.saved();
      },
      async revokeByGrantId(grantId) {
        for (const name of OF_A_GRANT) {
          store.section(name).deleteWhere((payload) => payload.grantId === grantId);
        }
        await store.saved();
      },
    };
  };
}
