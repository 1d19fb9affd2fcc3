/*! plugin-oauth 0.1.0, MIT */
import{useSyncExternalStore as e}from"react";function u(t){return e(t.onChange,()=>t.state,()=>n)}var n={status:"loading",tokens:null,url:null,error:null};export{u as useAuth};
