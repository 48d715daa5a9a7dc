import { describeStoreContract } from '../support/store-contract.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';

describeStoreContract('a memory store', () => Promise.resolve({ store: new MemoryStore() }));
