/*! plugin-oauth 0.1.0, MIT licence */
import{useSyncExternalStore as n}from"react";function r(t){let e=()=>t.state;return n(t.onChange,e,e)}export{r as useAuth};
