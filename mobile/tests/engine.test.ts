import { NodeSignalEngine } from '../src/node/signal_engine.ts';
import { engineConformance } from './engine_conformance.ts';
import { makeAuthority } from './support/authority.ts';

engineConformance('node', new NodeSignalEngine(), makeAuthority());
